"""A small network of 8-bit integers as C99: the file read, memory laid out, and the source written."""
