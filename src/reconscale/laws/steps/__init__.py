"""What more steps of training give: how much each doubling gains, when it ends, and the best use of a budget."""
