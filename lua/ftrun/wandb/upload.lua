--- Files and artifacts of a W&B run: what the SDK's core does with the records of an online run.
local artifact = require "ftrun.wandb.artifact"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"

local upload = {}

-- files in one request for their places
local AT_ONCE = 100

-- ---- files of the run ----

local CREATE_FILES = [[
mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: $entity, projectName: $project, runName: $run, files: $files}) {
    runID uploadHeaders files { name uploadUrl }
  }
}]]

--- Uploads files of a run, those left out that have gone up with the same content before.
---@param api ftrun.wandb.Api
---@param run { entity: string, project: string, id: string }
---@param folder string            where they are
---@param names string[]
---@param known table<string, string>  MD5 by name of what is there; what goes up is noted
---@return string[] uploaded
function upload.files(api, run, folder, names, known)
  local wanted, sums = {}, {}
  for _, name in ipairs(names) do
    local sum = digest.md5_file(folder .. "/" .. name)
    if sum and known[name] ~= sum then wanted[#wanted + 1], sums[name] = name, sum end
  end
  for i = 1, #wanted, AT_ONCE do
    local some = table.move(wanted, i, math.min(#wanted, i + AT_ONCE - 1), 1, json.array {})
    local made = api:graphql("CreateRunFiles", CREATE_FILES, { entity = run.entity, project = run.project, run = run.id,
      files = some }).createRunFiles
    for _, file in ipairs(made and made.files or {}) do
      if sums[file.name] and file.uploadUrl then
        api:put(file.uploadUrl, made.uploadHeaders, folder .. "/" .. file.name)
        known[file.name] = sums[file.name]
      end
    end
  end
  return wanted
end

-- ---- artifacts ----

local CREATE = [[
mutation CreateArtifact($input: CreateArtifactInput!) {
  createArtifact(input: $input) { artifact { id state artifactSequence { latestArtifact { id } } } }
}]]

local MANIFEST = [[
mutation CreateArtifactManifest($artifactID: ID!, $baseArtifactID: ID, $name: String!, $digest: String!,
    $entityName: String!, $projectName: String!, $runName: String!, $includeUpload: Boolean!,
    $type: ArtifactManifestType = FULL) {
  createArtifactManifest(input: {artifactID: $artifactID, baseArtifactID: $baseArtifactID, name: $name, digest: $digest,
      entityName: $entityName, projectName: $projectName, runName: $runName, type: $type}) {
    artifactManifest { id file { id name @include(if: $includeUpload) displayName @include(if: $includeUpload)
      uploadUrl @include(if: $includeUpload) uploadHeaders @include(if: $includeUpload) } }
  }
}]]

local FILES = [[
mutation CreateArtifactFiles($artifactFiles: [CreateArtifactFileSpecInput!]!,
    $storageLayout: ArtifactStorageLayout!) {
  createArtifactFiles(input: {artifactFiles: $artifactFiles, storageLayout: $storageLayout}) {
    files { edges { node { id name displayName uploadUrl uploadHeaders artifact { id } } } }
  }
}]]

local COMMIT = [[
mutation CommitArtifact($artifactID: ID!) {
  commitArtifact(input: {artifactID: $artifactID}) { artifact { id digest } }
}]]

local USE = [[
mutation UseArtifact($input: UseArtifactInput!) { useArtifact(input: $input) { artifact { id } } }]]

local function create(api, run, a)
  local aliases, tags = json.array {}, nil
  for i, alias in ipairs(a.aliases or {}) do aliases[i] = { artifactCollectionName = a.name, alias = alias } end
  if a.tags and a.tags[1] then
    tags = json.array {}
    for i, tag in ipairs(a.tags) do tags[i] = { tagName = tag } end
  end
  local data = api:graphql("CreateArtifact", CREATE, { input = {
    entityName = run.entity, projectName = run.project, artifactTypeName = a.type, artifactCollectionName = a.name,
    -- what its user made before the run is no output of it
    runName = not a.user_created and run.id or nil,
    digest = a.digest, digestAlgorithm = "MANIFEST_MD5", description = a.description ~= "" and a.description or nil,
    aliases = aliases, tags = tags, metadata = a.metadata ~= "" and a.metadata or nil,
    ttlDurationSeconds = a.ttl_duration_seconds ~= 0 and a.ttl_duration_seconds or nil,
    enableDigestDeduplication = true, clientID = a.client_id, sequenceClientID = a.sequence_client_id } })
  local made = data.createArtifact and data.createArtifact.artifact
  if not (made and made.id) then err.raise("provider", ("W&B: artifact %s: the answer names none"):format(a.name)) end
  return made
end

local function manifest(api, run, id, base, sum)
  local data = api:graphql("CreateArtifactManifest", MANIFEST, { artifactID = id, baseArtifactID = base,
    name = "wandb_manifest.json", digest = sum or "", entityName = run.entity, projectName = run.project,
    runName = run.id, includeUpload = sum ~= nil, type = "FULL" })
  return data.createArtifactManifest.artifactManifest
end

-- Files that are ours go up; answers where each was born.
local function put_files(api, artifact_id, manifest_id, entries)
  local births, own = {}, {}
  for _, e in ipairs(entries) do
    births[e.path] = e.birth_artifact_id or artifact_id
    if e.local_path and e.local_path ~= "" and not (e.ref and e.ref ~= "") then own[#own + 1] = e end
  end
  for i = 1, #own, AT_ONCE do
    local specs = json.array {}
    for k = i, math.min(#own, i + AT_ONCE - 1) do
      specs[#specs + 1] = { artifactID = artifact_id, artifactManifestID = manifest_id, name = own[k].path,
        md5 = own[k].digest }
    end
    local data = api:graphql("CreateArtifactFiles", FILES, { artifactFiles = specs, storageLayout = "V2" })
    for k, edge in ipairs(data.createArtifactFiles.files.edges) do
      local e, node = own[i + k - 1], edge.node
      -- no place: the server has this content
      if node.uploadUrl then api:put(node.uploadUrl, node.uploadHeaders, e.local_path) end
      births[e.path] = node.artifact and node.artifact.id or births[e.path]
    end
  end
  return births
end

local function manifest_text(a, births)
  local contents = {}
  for _, e in ipairs(a.manifest.contents or {}) do
    local extra
    for _, x in ipairs(e.extra or {}) do
      extra = extra or {}
      extra[x.key] = json.decode(x.value_json)
    end
    contents[e.path] = { digest = e.digest, size = e.size or 0, ref = e.ref ~= "" and e.ref or nil,
      birthArtifactID = births[e.path], extra = extra }
  end
  return json.encode { version = 1, storagePolicy = a.manifest.storage_policy or "wandb-storage-policy-v1",
    storagePolicyConfig = { storageLayout = "V2" }, contents = contents }
end

--- Brings an artifact to the server, with its files; what is there already stays.
---@param api ftrun.wandb.Api
---@param run { entity: string, project: string, id: string }
---@param a table        an artifact record
---@param scratch string  path for a file of its own
function upload.artifact(api, run, a, scratch)
  local made = create(api, run, a)
  if made.state ~= "COMMITTED" then
    local latest = made.artifactSequence and made.artifactSequence.latestArtifact
    local draft = manifest(api, run, made.id, latest and latest.id)
    local text = manifest_text(a, put_files(api, made.id, draft.id, a.manifest.contents or {}))
    err.check("system", fs.write(scratch, text))
    local _ <close> = setmetatable({}, { __close = function() fs.remove(scratch) end })
    local place = manifest(api, run, made.id, latest and latest.id, artifact.base64(digest.md5(text))).file
    api:put(place.uploadUrl, place.uploadHeaders, scratch)
    api:graphql("CommitArtifact", COMMIT, { artifactID = made.id })
  end
  if a.use_after_commit then
    api:graphql("UseArtifact", USE, { input = { artifactID = made.id, entityName = run.entity,
      projectName = run.project, runName = run.id } })
  end
end

return upload
