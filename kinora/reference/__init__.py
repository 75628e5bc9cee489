"""The model version that comes with the package, in a folder named by its digest."""
