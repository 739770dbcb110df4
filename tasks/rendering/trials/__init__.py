"""Trial renders of the publish gate, with invented values, and proofs in their place."""
