"""Real processes, real faults and clients that notice: what tests and benchmarks of failures are made of."""
