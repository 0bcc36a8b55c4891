"""Converters from official files to this project's table format; none needs the frameworks that wrote the files."""
