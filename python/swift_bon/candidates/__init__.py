"""What a candidates file holds: prompts, their candidates, labels and scores."""
