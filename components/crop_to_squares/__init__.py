"""The step `crop-to-squares`: clips are cut to their middle squares."""
