"""The benchmark of `make benchmark`: it times mbanalyze against other counters and writes a dated table here."""
