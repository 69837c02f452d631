"""The operator's files: settings and workloads, read strictly, with the line of every problem, and written durably.

config      the settings file          variables   its table of variables      templates   {{ name }} in it
workloads   workloads.yml              fileformat  its shape, to types         filters     names and patterns
marked      YAML that knows its lines  durable     old content or new, never a part
"""
