"""Tables in Markdown files, kept between markers and made again from runs."""
