"""The decisions, without I/O: fed with a clock and answers, they say what to fetch."""
