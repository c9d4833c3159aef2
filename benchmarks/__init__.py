"""How long counting takes, beside other counters: `make benchmark`, which writes a dated table here."""
