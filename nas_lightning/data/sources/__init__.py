"""Images with classes, one file a source: what a file's class is named is what ``data.name`` says."""
