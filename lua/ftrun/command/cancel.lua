--- ftrun cancel [RUN|JOB]
return require "ftrun.change" ("cancel", nil, true)
