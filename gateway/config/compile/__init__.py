"""Documents -> the parts of a snapshot, each by a compiler that collects what is wrong."""
