"""OpenTelemetry: spans as OTLP sends them, in the dialects of those who trace agents."""
