"""Workbooks and Parquet files, turned into canonical CSV in a process of their own.

Both are containers that whoever made them may have made to harm: a few kilobytes that unpack to a terabyte, a size that
lies, a structure that a library in C++ or Rust stumbles over. So the libraries that open them run in a short-lived
process with a limit on memory and on time (`worker.conversion.__main__`). It reads the upload from one open file and
writes CSV to a pipe and a report to another file; what becomes of it becomes one clear error for the file's owner.
"""
