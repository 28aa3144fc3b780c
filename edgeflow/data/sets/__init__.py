"""Public data sets, one file each; a file's ``SOURCES`` lists what it offers."""
