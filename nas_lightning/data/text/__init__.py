"""Language modelling: texts in memory, chunks of them in the order of reading, and where texts come from."""
