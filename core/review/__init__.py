"""How right the labels are on one file: a sample of its rows, what a person says of them, and what that says of all.

`intervals`, `allocation` and `figures` are the statistics, and know no database. `draw` finds the rows, `reviews` keeps
samples and `answers` what was said of them, `report` reads both; `corrections` keeps what people say of rows, whether
or not these are in a sample.
"""
