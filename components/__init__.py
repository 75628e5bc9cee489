"""The pipeline's steps: a folder each, with a thin body that calls the library once; and their images."""
