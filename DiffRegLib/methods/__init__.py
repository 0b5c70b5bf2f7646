"""The registration methods; none of them imports another."""
