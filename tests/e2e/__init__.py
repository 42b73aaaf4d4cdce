"""Commands and library against chains of their own: separate anvil processes, as a user has them."""
