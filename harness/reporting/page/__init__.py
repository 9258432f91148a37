"""The report as one HTML file: its template, style and script, and what fills them."""
