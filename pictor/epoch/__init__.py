"""One epoch as others see it: the Merkle tree of its standings, its archive, and the messages that attestors sign."""
