--- ftrun resume [RUN|JOB]
return require "ftrun.change" ("resume", "job")
