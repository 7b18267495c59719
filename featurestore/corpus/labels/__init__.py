"""What is known of each recording: fields from paths, tables and lists, votes of raters, label schemes."""
