"""From run folders to tables, figures and one HTML page: ``python -m nas_lightning.report <folders> --out report/``.

Reads result files alone: `runs` finds and reads them, `study` compares settings, `figures` says what is drawn, `draw`
and `page` draw it (matplotlib; inline script), `tables` writes the paper's table.
"""
