"""History: what is known of each series, what is missing, and how it is fetched."""
