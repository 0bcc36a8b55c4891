"""``python -m nas_lightning.search FOLDER``: the summary of the searches below a folder."""

import sys
from pathlib import Path

from nas_lightning.search.summary import print_summary, read_results, summarise

if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
    sys.exit("usage: python -m nas_lightning.search FOLDER   (the folder that holds run folders, such as runs/search)")
found = summarise(read_results(Path(sys.argv[1])))
if not found:
    sys.exit(f"no finished search below {sys.argv[1]}: run search.py first, or name another folder")
print_summary(found)
