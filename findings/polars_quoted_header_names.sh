#!/usr/bin/env bash
# Polars 2.1.0: read_csv undoes doubled quotation marks in cells, and not in the names of the header.
#
# RFC 4180 writes a quotation mark within a quoted field as two, in the header as everywhere. Polars reads the cell
# "c ""d""" as c "d", and the name "a ""x""" as a ""x"" - so the file that its own write_csv has written comes back with
# another name of the column, and a model that looks for its columns by name does not find it. Python's csv reads both.
#
# Seen (Python 3.11): frame with column a "x" -> write_csv -> read_csv -> column a ""x""; the cells are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q polars==2.1.0
"$folder/env/bin/python" - <<'PYTHON'
import csv
import io

import polars

frame = polars.DataFrame({'length 3"': ['4"', "5"], "b": [1, 2]})
text = frame.write_csv()
again = polars.read_csv(text.encode())
print(repr(text))
print("written", frame.columns, "read", again.columns)
assert next(csv.reader(io.StringIO(text))) == frame.columns
assert again.columns == ['length 3""', "b"], "names are read as they were written now"
assert again.to_series(0).to_list() == frame.to_series(0).to_list()
PYTHON
