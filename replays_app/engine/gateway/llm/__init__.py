"""The LLM door: `/llm/<token>/…`, the model's API as the agent sees it in a replay."""
