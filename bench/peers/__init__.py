"""Against what a benchmark measures: the forms that others would write."""
