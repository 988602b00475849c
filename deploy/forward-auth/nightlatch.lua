-- Asks Nightlatch about a request, for HAProxy (2.6); haproxy.cfg beside it shows how it is used.
-- Yours to change: the address.

local ADDRESS, PORT = "127.0.0.1", 8080

-- How long each step of a check may take: Nightlatch answers one within 400 ms.
local TIMEOUT_S = 2

-- The most header lines of an answer.
local LINES_MAX = 100

-- What Nightlatch is told of the request as its client sent it.
local AS_SENT = { "accept", "authorization", "cookie", "user-agent" }

-- What the application is told of the person.
local IDENTITY = { "remote-user", "remote-groups", "remote-name", "remote-email", "x-session-id" }

-- What a client gets of an answer that does not let it in.
local HANDED_ON = { "cache-control", "content-type", "location", "retry-after", "vary", "www-authenticate", "x-request-id" }

-- Nightlatch's answer, or nil. By hand: HAProxy's own client tries a server that is gone four times.
local function exchange(socket, query, asked)
    socket:settimeout(TIMEOUT_S)
    if not socket:connect(ADDRESS, PORT) then
        return nil
    end
    local lines = { "GET /api/v1/auth/check" .. query .. " HTTP/1.0" }
    for name, list in pairs(asked) do
        for _, value in ipairs(list) do
            lines[#lines + 1] = name .. ": " .. (value:gsub("%c", ""))
        end
    end
    if not socket:send(table.concat(lines, "\r\n") .. "\r\n\r\n") then
        return nil
    end
    local first = socket:receive("*l")
    local answer = { status = tonumber(first and first:match("^HTTP/1%.[01] (%d%d%d)")), headers = {} }
    for _ = 1, LINES_MAX do
        local line = socket:receive("*l")
        if not line then
            return nil
        end
        local name, value = line:match("^([^:%s]+):%s*(.-)%s*$")
        if not name then
            answer.body = socket:receive("*a") or ""
            return answer
        end
        name = name:lower()
        answer.headers[name] = answer.headers[name] or {}
        table.insert(answer.headers[name], value)
    end
    return nil
end

local function ask(query, asked)
    local socket = core.tcp()
    local answer = exchange(socket, query, asked)
    socket:close()
    return answer
end

-- The values of a header, of HAProxy's tables that begin with 0.
local function values(headers, name)
    local list = {}
    local found = headers and headers[name]
    local at = found and (found[0] ~= nil and 0 or 1)
    while at and found[at] ~= nil do
        list[#list + 1] = found[at]
        at = at + 1
    end
    return list
end

local function reply(txn, status, headers, body)
    local answer = txn:reply { status = status }
    for name, list in pairs(headers) do
        for _, value in ipairs(list) do
            answer:add_header(name, value)
        end
    end
    answer:set_body(body)
    txn:done(answer)
end

-- Nobody knows whether there is a session: neither a logout nor an error of the application.
local function reply_unknown(txn)
    reply(txn, 503, { ["retry-after"] = { "5" }, ["cache-control"] = { "no-store" }, ["content-type"] = { "text/plain" } },
        "This cannot be looked up just now. Nobody is logged out by this; please try again.\n")
end

-- The client's cookies but for Nightlatch's, which could be used in the person's name.
local function application_cookies(headers)
    local kept = {}
    for _, line in ipairs(values(headers, "cookie")) do
        for pair in line:gmatch("[^;]+") do
            local name = (pair:match("^%s*([^=]*)=") or ""):gsub("%s+$", "")
            name = name:gsub("^__Host%-", ""):gsub("^__Secure%-", "")
            if not name:match("^nightlatch[a-z-]*$") then
                kept[#kept + 1] = pair:match("^%s*(.-)%s*$")
            end
        end
    end
    return table.concat(kept, "; ")
end

-- Takes away what a client says of itself, in each spelling that an application may read the same.
local function remove_claims(txn, headers)
    for name in pairs(headers) do
        local read_as = name:lower():gsub("[^a-z0-9]", "-")
        if read_as:match("^remote%-") or read_as == "x-session-id" or read_as == "authorization" then
            txn.http:req_del_header(name)
        end
    end
end

-- Whether a client wants headers taken away behind our back.
local function is_meddler(headers)
    for _, line in ipairs(values(headers, "connection")) do
        for option in line:lower():gmatch("[^,%s]+") do
            if option ~= "close" and option ~= "keep-alive" and option ~= "upgrade" and option ~= "te" then
                return true
            end
        end
    end
    return false
end

local function let_in(txn, headers, identity)
    local cookies = application_cookies(headers)
    txn.http:req_del_header("cookie")
    if cookies ~= "" then
        txn.http:req_set_header("cookie", cookies)
    end
    remove_claims(txn, headers)
    for _, name in ipairs(IDENTITY) do
        local value = values(identity, name)[1]
        if value ~= nil then
            txn.http:req_set_header(name, value)
        end
    end
    txn:set_var("txn.nightlatch_let_in", true)
end

local function check(txn, query)
    local headers = txn.http:req_get_headers()
    if is_meddler(headers) then
        return reply(txn, 400, {}, "")
    end
    local asked = {
        ["host"] = { txn:get_var("txn.host") },
        ["x-forwarded-for"] = { txn.f:src() },
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-proto"] = { "https" },
        ["x-forwarded-host"] = { txn:get_var("txn.host") },
        ["x-forwarded-uri"] = { txn.f:pathq() },
    }
    for _, name in ipairs(AS_SENT) do
        local list = values(headers, name)
        if #list > 0 then
            asked[name] = list
        end
    end
    local answer = ask(query, asked)
    local status = answer and answer.status
    if status == 200 and #values(answer.headers, "remote-user") == 1 then
        return let_in(txn, headers, answer.headers)
    end
    if status ~= 302 and status ~= 401 and status ~= 403 and status ~= 503 then
        return reply_unknown(txn)
    end
    local handed_on = {}
    for _, name in ipairs(HANDED_ON) do
        handed_on[name] = values(answer.headers, name)
    end
    reply(txn, status, handed_on, answer.body)
end

core.register_action("nightlatch_logged_in", { "http-req" }, function(txn)
    check(txn, "")
end, 0)

core.register_action("nightlatch_in_groups", { "http-req" }, function(txn, groups)
    check(txn, "?groups=" .. groups)
end, 1)
