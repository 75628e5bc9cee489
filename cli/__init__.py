"""The command line: one function for each command of `kinora`, above all other packages."""
