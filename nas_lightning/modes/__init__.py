"""The modes of train.py: a super-net trained and ranked, one stand-alone network, a table of them."""
