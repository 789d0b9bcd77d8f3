--- Settings from the environment or `.env`, as rows of names and meaning: the README's table, the man page, and what no
--- recipe may write come from here.
---@type { [1]: string, [2]: string }[]
return {
  { "OPENAI_API_KEY", "key for OpenAI; kept out of Lua, files and messages" },
  { "OPENAI_ADMIN_KEY", "admin key, for `ftrun permissions` alone; kept out of Lua, files and messages" },
  { "OPENAI_BASE_URL", "another server that speaks OpenAI's API" },
  { "OPENAI_ORG_ID, OPENAI_PROJECT_ID", "organisation and project to bill" },
  { "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "proxies, as curl reads them; never used for loopback" },
  { "CURL_CA_BUNDLE, SSL_CERT_FILE", "file of certificates to trust instead of the system's" },
  { "SSL_CERT_DIR", "the same as a folder, as OpenSSL names its files" },
  { "DATABASE_URL", "the PostgreSQL database, as postgresql://user:password@host/name" },
  { "WANDB_PROJECT, WANDB_ENTITY", "project and team at Weights & Biases; the recipe's own go first" },
  { "WANDB_API_KEY", "key for Weights & Biases, which asks for logging; kept out of Lua, files and messages" },
  { "WANDB_ENABLED, WANDB_MODE",
    "false, or disabled: nothing is logged to Weights & Biases; offline: runs stay on disk" },
  { "WANDB_BASE_URL", "a Weights & Biases server of your own" },
  { "FTRUN_DIR", "folder of runs and of the local provider; default .ftrun" },
  { "FTRUN_LOG", "error, warn, info or debug; default info" },
  { "FTRUN_LUA", "folders to take ftrun's own Lua sources from, for work on ftrun" },
  { "NO_COLOR", "no colours" },
}
