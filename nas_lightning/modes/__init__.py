"""The modes of train.py: a super-net trained and ranked, trained ones scored again, a stand-alone network, a table."""
