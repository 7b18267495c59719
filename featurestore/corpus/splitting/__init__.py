"""The rules that split corpora, one family a file; `featurestore.corpus.splitting.splits` is the way in."""
