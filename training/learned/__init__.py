"""The learned ranker: what each moment of the past shows of every pair, and trees that foresee the next window."""
