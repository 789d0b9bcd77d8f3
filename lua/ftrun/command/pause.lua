--- ftrun pause [RUN|JOB]
return require "ftrun.change" ("pause", "job")
