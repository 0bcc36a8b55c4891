"""Zero-cost proxies: scores of networks that nobody trained, one file each."""
