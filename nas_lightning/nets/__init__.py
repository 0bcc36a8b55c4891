"""One network definition per space, for both roles: super-net (all operations) and stand-alone (one architecture)."""
