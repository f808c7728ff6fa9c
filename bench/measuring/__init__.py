"""How a benchmark measures: time, bandwidth, the exact answer, the record it writes."""
