"""The files that results come in, one writer each: rows in, blocks of bytes out, in memory that does not grow.

All of them write the same table: the input's columns, then those of `core.table.OutputLayout`. CSV is the exact one;
the others say in their own module what their format makes of a cell.
"""

from core.results.files.base import FileWriter
from core.results.files.csv_file import CsvFile, SpreadsheetFile
from core.results.files.of_job import ResultFile, ResultFiles
from core.results.files.parquet_file import ParquetFile
from core.results.files.workbook import WorkbookFile

__all__ = ["CsvFile", "FileWriter", "ParquetFile", "ResultFile", "ResultFiles", "SpreadsheetFile", "WorkbookFile"]
