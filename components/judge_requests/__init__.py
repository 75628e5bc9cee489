"""The step `judge_requests`: the deployed model is judged on what it is asked for."""
