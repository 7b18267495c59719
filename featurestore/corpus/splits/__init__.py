"""The rules that split corpora, one family a file; `featurestore.corpus.splits.protocols` is the way in."""
