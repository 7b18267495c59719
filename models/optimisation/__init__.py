"""How weights are moved: optimisers, schedules, losses, gradients of several processes."""
