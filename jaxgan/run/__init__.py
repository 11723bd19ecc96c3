"""The program around the library: command line, loop, work folders, files."""
