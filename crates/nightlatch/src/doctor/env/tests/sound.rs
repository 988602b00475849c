//! What works as it is.

use super::*;

/// Nothing to say.
const OTHERS: &[&str] = &[
    "",
    "# nothing\n",
    "REDIS_URL=\n",
    "REDIS_URL=redis://localhost:6379/0",
    "REDIS_URL=\"redis://localhost:6379/0\"\r\n",
    "export REDIS_URL='redis://:hunter2@h:6379/0'",
    "REDIS_URL=redis://:hunter2%23%40%2F@h:6379/0",
    "REDIS_URL=rediss://:hunter2@a.upstash.io:6379",
    "REDIS_URL=rediss://:hunter2@a.redis.cache.windows.net:6380/0?ssl_cert_reqs=required",
    "REDIS_URL=redis://default:hunter2@redis-1.c1.eu-west-1-1.ec2.cloud.redislabs.com:14537",
    "REDIS_URL=unix:///run/redis/redis.sock?db=1",
    "REDIS_URL=redis+sentinel://:hunter2@s1:26379,s2:26379/mymaster/0",
    "REDIS_URL=redis://[2001:db8::1]:6379/0",
    "REDIS_URL=redis+cluster://:hunter2@c1:6379,c2:6379",
    "REDIS_PASSWORD=hunter2\nREDIS_URL=redis://:${REDIS_PASSWORD}@h:6379/0",
    "REDIS_URL=redis://${REDIS_HOST:-localhost}:6379/0",
    // Django with Celery and Channels.
    "DEBUG=True\nSECRET_KEY=django-insecure-hunter2\nDATABASE_URL=postgres://u:hunter2@db/x\n\
         REDIS_URL=redis://redis:6379/0\nREDIS_CACHE_URL=redis://redis:6379/1\n\
         CELERY_BROKER_URL=redis://redis:6379/2\nCELERY_RESULT_BACKEND=redis://redis:6379/2\n\
         REDIS_CHANNELS_URL=redis://redis:6379/3\n",
    "CELERY_BROKER_URL=amqp://u:hunter2@rabbit//\nCELERY_RESULT_BACKEND=django-db",
    "CELERY_BROKER_URL=rediss://:hunter2@h:6380/1?ssl_cert_reqs=CERT_REQUIRED",
    "CACHE_URL=memcache://h:11211",
    // As it is written elsewhere, and nobody's business here.
    "REDIS_URL=redis://:ab%2FHUNTER2%2Bcd@h:6379/0",
    "REDIS_PASSWORD=hunter2\nREDIS_URL=redis://:${REDIS_PASSWORD}@h/0\nCELERY_BROKER_URL=${REDIS_URL}",
    "REDIS_HOST=h\nREDIS_PORT=1\nREDIS_URL=redis://$REDIS_HOST:$REDIS_PORT/0",
    "REDIS_HOST=h\nREDIS_URL=redis://${REDIS_HOST:?must be set}:6379",
    "APP_NAME=\"\u{1f469}\u{200d}\u{1f4bb} Team\"\nSITE=\"Bonjour\u{a0}!\"",
    "CACHE_URL=rediscache://127.0.0.1:6379/1",
    "CELERY_BROKER_URL=redis+socket:///run/redis/redis.sock",
    "CELERY_RESULT_BACKEND=redis://",
    "CELERY_BROKER_URL=redis://:hunter2@h1:6379/0;redis://:hunter2@h2:6379/0",
    "CELERY_BROKER_URL=sentinel://redis-s1:26379;sentinel://redis-s2:26379",
    "REDIS_URL=tcp://127.0.0.1:6379?database=0",
    "SPRING_DATA_REDIS_URL=redis-sentinel://:hunter2@h1,h2/0#mymaster",
    "REDIS_URL=redis://localhost:6379/0/session",
    "REDIS_CLUSTER_URL=redis://a:7000,redis://b:7001",
    "REDIS_INSIGHT_URL=http://localhost:5540\nREDIS_REST_URL=https://a.upstash.io",
    "REDIS_SENTINEL_URL=redis://sentinel:26379",
    "ENVIRONMENT=production\nAWS_SECRET_KEY=hunter2\nS3_SECRET_KEY=hunter2",
    "REDIS_URL=redis://default:@localhost:6379",
    "REDIS_URL=redis://localhost:6380/0",
    "REDIS_URL=redis://h/0\nREDIS_CACHE_URL=redis://h/0",
    // Node.
    "NODE_ENV=development\nPORT=3000\nSESSION_SECRET=hunter2\nREDIS_HOST=127.0.0.1\n\
         REDIS_PORT=6379\n",
    // Rails.
    "RAILS_ENV=production\nSECRET_KEY_BASE=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c\n\
         REDIS_URL=redis://redis:6379/1\nSIDEKIQ_REDIS_URL=redis://redis:6379/2\n",
    "PATTERN=^[a-z]+$\nGREETING=\"Hello, ${NAME}\"\nHTML=<b>\n",
];

#[test]
fn sound_lines_have_no_finding() {
    for text in OTHERS {
        assert_eq!(ids(text), [""; 0], "{text}");
    }
}

/// What people run as it is, by what reads it. Nothing to warn of, and no secret in what else is told.
const FILES: &[(&str, &str)] = &[
    (
        "Django",
        "DJANGO_SETTINGS_MODULE=config.settings.production\nDJANGO_SECRET_KEY=q8Vhunter2s0mEr4nd0mT3xtThatIsLongEnough1234567890\nDJANGO_ALLOWED_HOSTS=.example.com\nDJANGO_ADMIN_URL=x1Yz/\nDJANGO_SECURE_SSL_REDIRECT=True\nDATABASE_URL=postgres://debug:hunter2@postgres:5432/app\nREDIS_URL=redis://redis:6379/0\nCELERY_FLOWER_USER=u\nCELERY_FLOWER_PASSWORD=hunter2\nWEB_CONCURRENCY=4\n",
    ),
    (
        "Celery",
        "CELERY_BROKER_URL=redis://:hunter2@redis:6379/0\nCELERY_RESULT_BACKEND=redis://:hunter2@redis:6379/1\nCELERY_TASK_ALWAYS_EAGER=False\n",
    ),
    (
        "Celery with one database",
        "REDIS_URL=redis://redis:6379/0\nCELERY_BROKER_URL=${REDIS_URL}\nCELERY_RESULT_BACKEND=${REDIS_URL}\n",
    ),
    (
        "Channels",
        "SECRET_KEY=\"q8V!hunter2%$s0mEr4nd0mT3xtThatIsLong\"\nREDIS_CHANNELS_URL=redis://redis:6379/2\nREDIS_CACHE_URL=redis://redis:6379/1\nREDIS_URL=redis://redis:6379/0\nDEBUG=0\n",
    ),
    (
        "Flask",
        "FLASK_APP=app.py\nFLASK_ENV=development\nFLASK_DEBUG=1\nSECRET_KEY=dev\nSQLALCHEMY_DATABASE_URI=sqlite:///app.db\nCACHE_TYPE=RedisCache\nCACHE_REDIS_URL=redis://localhost:6379/1\nSESSION_TYPE=redis\nSESSION_REDIS=redis://localhost:6379/0\n",
    ),
    (
        "FastAPI",
        "PROJECT_NAME=\"App\"\nBACKEND_CORS_ORIGINS=[\"http://localhost\",\"https://example.com\"]\nSECRET_KEY=q8Vhunter2s0mEr4nd0mT3xtThatIsLongEnough\nPOSTGRES_SERVER=db\nPOSTGRES_USER=postgres\nPOSTGRES_PASSWORD=hunter2\nREDIS_HOST=redis\nREDIS_PORT=6379\nREDIS_DB=0\n",
    ),
    (
        "Express",
        "NODE_ENV=production\nPORT=3000\nMONGO_URI=mongodb://u:hunter2@mongo:27017/app?authSource=admin\nREDIS_HOST=127.0.0.1\nREDIS_PORT=6379\nREDIS_PASSWORD=hunter2\nJWT_SECRET=q8Vhunter2s0mEr4nd0mT3xtThatIsLongEnough\nJWT_EXPIRES_IN=7d\nSESSION_SECRET=w9Xhunter2s0mEr4nd0mT3xtThatIsLongEnough\n",
    ),
    (
        "Next.js",
        "NEXT_PUBLIC_API_URL=https://api.example.com\nNEXTAUTH_URL=https://example.com\nNEXTAUTH_SECRET=q8Vhunter2s0mEr4nd0mT3xtThatIsLongEnough\nDATABASE_URL=\"postgresql://u:hunter2@localhost:5432/app?schema=public\"\nUPSTASH_REDIS_REST_URL=https://eu1-abc.upstash.io\nUPSTASH_REDIS_REST_TOKEN=hunter2\n",
    ),
    (
        "Next.js with Vercel KV",
        "KV_URL=\"rediss://default:hunter2@eu1-abc.kv.vercel-storage.com:33079\"\nKV_REST_API_URL=\"https://eu1-abc.kv.vercel-storage.com\"\nKV_REST_API_TOKEN=\"hunter2\"\n",
    ),
    ("Vite", "VITE_API_URL=http://localhost:8000\nVITE_APP_TITLE=My App\n"),
    (
        "NestJS with Bull",
        "NODE_ENV=development\nAPP_PORT=3000\nREDIS_HOST=localhost\nREDIS_PORT=6379\nREDIS_PASSWORD=\nBULL_REDIS_HOST=localhost\nBULL_REDIS_PORT=6380\n",
    ),
    (
        "Rails",
        "RAILS_ENV=production\nRAILS_MASTER_KEY=0123456789abcdefhunter2\nSECRET_KEY_BASE=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c\nRAILS_LOG_TO_STDOUT=true\nDATABASE_URL=postgresql://app:hunter2@db/app\nREDIS_URL=redis://redis:6379/1\n",
    ),
    (
        "Sidekiq",
        "REDIS_PROVIDER=REDIS_SIDEKIQ_URL\nREDIS_SIDEKIQ_URL=redis://:hunter2@sidekiq:6379/0\nREDIS_CACHE_URL=redis://:hunter2@cache:6379/0\nSIDEKIQ_CONCURRENCY=10\n",
    ),
    (
        "Laravel",
        "APP_NAME=Laravel\nAPP_ENV=local\nAPP_KEY=base64:hunter2AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAPP_DEBUG=true\nLOG_CHANNEL=stack\nDB_CONNECTION=mysql\nDB_HOST=127.0.0.1\nDB_PORT=3306\nDB_PASSWORD=\nBROADCAST_DRIVER=log\nCACHE_DRIVER=file\nSESSION_DRIVER=redis\nSESSION_LIFETIME=120\nREDIS_CLIENT=phpredis\nREDIS_HOST=127.0.0.1\nREDIS_PASSWORD=null\nREDIS_PORT=6379\nMAIL_FROM_NAME=\"${APP_NAME}\"\nVITE_APP_NAME=\"${APP_NAME}\"\n",
    ),
    (
        "Laravel with a socket",
        "REDIS_CLIENT=phpredis\nREDIS_HOST=/var/run/redis/redis.sock\nREDIS_PASSWORD=null\nREDIS_PORT=0x\n",
    ),
    (
        "Laravel with TLS",
        "APP_ENV=production\nREDIS_CLIENT=predis\nREDIS_SCHEME=tls\nREDIS_HOST=tls://r.example.com\nREDIS_PASSWORD=hunter2\nREDIS_PORT=6380\n",
    ),
    (
        "Symfony",
        "APP_ENV=dev\nAPP_SECRET=0123456789hunter2\nDATABASE_URL=\"mysql://app:hunter2@127.0.0.1:3306/app?serverVersion=8.0.32&charset=utf8mb4\"\nMESSENGER_TRANSPORT_DSN=redis://localhost:6379/messages\nMAILER_DSN=null://null\nLOCK_DSN=flock\n",
    ),
    (
        "Spring",
        "SPRING_PROFILES_ACTIVE=prod\nSPRING_DATASOURCE_URL=jdbc:postgresql://db:5432/app\nSPRING_DATASOURCE_PASSWORD=hunter2\nSPRING_DATA_REDIS_HOST=redis\nSPRING_DATA_REDIS_PORT=6379\nSPRING_DATA_REDIS_PASSWORD=hunter2\nSPRING_DATA_REDIS_SSL_ENABLED=false\n",
    ),
    (
        "Spring with Sentinels",
        "SPRING_DATA_REDIS_SENTINEL_MASTER=mymaster\nSPRING_DATA_REDIS_SENTINEL_NODES=s1:26379,s2:26379,s3:26379\nSPRING_DATA_REDIS_PASSWORD=hunter2\n",
    ),
    (
        "Go",
        "APP_ENV=production\nHTTP_ADDR=:8080\nREDIS_ADDR=localhost:6379\nREDIS_DB=0\nREDIS_PASSWORD=hunter2\nDATABASE_DSN=host=db user=app password=hunter2 dbname=app sslmode=disable\n",
    ),
    (
        "Airflow",
        "AIRFLOW_UID=50000\nAIRFLOW__CORE__EXECUTOR=CeleryExecutor\nAIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql+psycopg2://airflow:hunter2@postgres/airflow\nAIRFLOW__CELERY__RESULT_BACKEND=db+postgresql://airflow:hunter2@postgres/airflow\nAIRFLOW__CELERY__BROKER_URL=redis://:@redis:6379/0\nAIRFLOW__CORE__FERNET_KEY=\n",
    ),
    (
        "Superset",
        "COMPOSE_PROJECT_NAME=superset\nDATABASE_DB=superset\nDATABASE_HOST=db\nDATABASE_PASSWORD=hunter2\nDATABASE_USER=superset\nDATABASE_PORT=5432\nDATABASE_DIALECT=postgresql\nREDIS_HOST=redis\nREDIS_PORT=6379\nFLASK_DEBUG=true\nSUPERSET_SECRET_KEY=TEST_NON_DEV_SECRET\n",
    ),
    (
        "Sentry",
        "COMPOSE_PROJECT_NAME=sentry-self-hosted\nSENTRY_EVENT_RETENTION_DAYS=90\nSENTRY_BIND=9000\nSENTRY_REDIS_HOST=redis\nSENTRY_REDIS_PORT=6379\nSENTRY_IMAGE=ghcr.io/getsentry/sentry:24.1.0\nHEALTHCHECK_INTERVAL=30s\n",
    ),
    (
        "Nextcloud",
        "POSTGRES_DB=nextcloud\nPOSTGRES_USER=nextcloud\nPOSTGRES_PASSWORD=hunter2\nNEXTCLOUD_ADMIN_USER=admin\nNEXTCLOUD_ADMIN_PASSWORD=hunter2\nREDIS_HOST=redis\nREDIS_HOST_PASSWORD=hunter2\nREDIS_HOST_PORT=6379\n",
    ),
    (
        "GitLab",
        "GITLAB_TIMEZONE=Berlin\nGITLAB_SECRETS_DB_KEY_BASE=hunter2long-and-random-alphanumeric-string\nREDIS_HOST=redis\nREDIS_PORT=6379\nDB_ADAPTER=postgresql\nDB_HOST=postgresql\nDB_PASS=hunter2\n",
    ),
    (
        "Mastodon",
        "LOCAL_DOMAIN=example.com\nREDIS_HOST=localhost\nREDIS_PORT=6379\nDB_HOST=/var/run/postgresql\nDB_USER=mastodon\nDB_NAME=mastodon_production\nDB_PASS=\nES_ENABLED=true\nES_HOST=localhost\nSECRET_KEY_BASE=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nOTP_SECRET=60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\nVAPID_PRIVATE_KEY=hunter2\n",
    ),
    (
        "Discourse",
        "DISCOURSE_HOSTNAME=forum.example.com\nDISCOURSE_SMTP_ADDRESS=smtp.example.com\nDISCOURSE_SMTP_PASSWORD=hunter2\nDISCOURSE_REDIS_HOST=redis\nDISCOURSE_REDIS_PORT=6379\nDISCOURSE_DB_HOST=data\n",
    ),
    (
        "Outline",
        "NODE_ENV=production\nSECRET_KEY=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\nUTILS_SECRET=60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\nDATABASE_URL=postgres://user:hunter2@postgres:5432/outline\nPGSSLMODE=disable\nREDIS_URL=redis://redis:6379\nURL=https://wiki.example.com\nPORT=3000\nFORCE_HTTPS=true\n",
    ),
    (
        "n8n",
        "N8N_ENCRYPTION_KEY=hunter2\nEXECUTIONS_MODE=queue\nQUEUE_BULL_REDIS_HOST=redis\nQUEUE_BULL_REDIS_PORT=6379\nQUEUE_BULL_REDIS_DB=0\nQUEUE_BULL_REDIS_PASSWORD=hunter2\nWEBHOOK_URL=https://n8n.example.com/\n",
    ),
    (
        "Chatwoot",
        "SECRET_KEY_BASE=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c\nFRONTEND_URL=http://0.0.0.0:3000\nREDIS_URL=redis://:hunter2@redis:6379\nREDIS_PASSWORD=hunter2\nREDIS_SENTINELS=\nREDIS_SENTINEL_MASTER_NAME=\nPOSTGRES_HOST=postgres\nRAILS_ENV=development\nACTIVE_STORAGE_SERVICE=local\n",
    ),
    (
        "authentik",
        "PG_PASS=hunter2\nAUTHENTIK_SECRET_KEY=q8Vhunter2s0mEr4nd0mT3xtThatIsLongEnough\nAUTHENTIK_REDIS__HOST=redis\nAUTHENTIK_POSTGRESQL__HOST=postgresql\nCOMPOSE_PORT_HTTP=80\n",
    ),
    (
        "PostHog",
        "POSTHOG_SECRET=hunter2\nSENTRY_DSN=\nDOMAIN=ph.example.com\nREDIS_URL=redis://redis7:6379/\nCLICKHOUSE_HOST=clickhouse\nKAFKA_HOSTS=kafka:9092\n",
    ),
    (
        "Immich",
        "UPLOAD_LOCATION=./library\nDB_DATA_LOCATION=./postgres\nIMMICH_VERSION=release\nDB_PASSWORD=hunter2\nREDIS_HOSTNAME=immich_redis\n",
    ),
    (
        "Docker with a published port",
        "COMPOSE_PROJECT_NAME=app\nREDIS_PORT=127.0.0.1:6380\nREDIS_VERSION=7-alpine\nREDIS_URL=redis://redis:6379/0\n",
    ),
    (
        "bitnami",
        "ALLOW_EMPTY_PASSWORD=no\nREDIS_PASSWORD=hunter2\nREDIS_PORT_NUMBER=6379\nREDIS_REPLICATION_MODE=master\nREDIS_DISABLE_COMMANDS=FLUSHDB,FLUSHALL\n",
    ),
    (
        "Heroku",
        "REDIS_URL=redis://h:hunter2@ec2-1-2-3-4.compute-1.amazonaws.com:12345\nREDIS_TLS_URL=rediss://h:hunter2@ec2-1-2-3-4.compute-1.amazonaws.com:12346\nDATABASE_URL=postgres://u:hunter2@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d\n",
    ),
    (
        "Railway",
        "REDISHOST=redis.railway.example.org\nREDISPORT=6379\nREDISUSER=default\nREDISPASSWORD=hunter2\nREDIS_URL=redis://default:hunter2@redis.railway.example.org:6379\nREDIS_PUBLIC_URL=redis://default:hunter2@roundhouse.proxy.rlwy.net:34567\n",
    ),
    (
        "ElastiCache",
        "ENVIRONMENT=production\nREDIS_URL=rediss://:hunter2@master.app.abc123.euw1.cache.amazonaws.com:6379/0\nREDIS_HOST=master.app.abc123.euw1.cache.amazonaws.com\nREDIS_PORT=6379\nREDIS_PASSWORD=hunter2\nREDIS_TLS=true\nREDIS_DB=0\n",
    ),
    (
        "a URL put together",
        "REDIS_HOST=redis\nREDIS_PORT=6379\nREDIS_PASSWORD=hunter2\nREDIS_DB=1\nREDIS_URL=redis://:${REDIS_PASSWORD}@${REDIS_HOST}:${REDIS_PORT}/${REDIS_DB}\n",
    ),
    (
        "a password with reserved characters",
        "REDIS_PASSWORD=hunter2#@/\nREDIS_URL=redis://:hunter2%23%40%2F@redis:6379/0\n",
    ),
    (
        "several kinds",
        "REDIS_HOST=redis\nREDIS_CACHE_HOST=cache\nREDIS_CACHE_PORT=6380\nREDIS_QUEUE_URL=redis://queue:6379/0\n",
    ),
    (
        "Nightlatch in development",
        "NIGHTLATCH_LISTEN=127.0.0.1:8080\nDATABASE_URL=sqlite:nightlatch.db\n",
    ),
    (
        "Nightlatch",
        "ENVIRONMENT=production\nPUBLIC_URL=https://login.example.com\nSESSION_SECRET_KEY=0123456789abcdef0123456789hunter2\nDATABASE_URL=postgres://nightlatch:hunter2@db.example.org:5432/nightlatch?sslmode=verify-full\nREDIS_URL=redis://:hunter2@redis.example.org:6379/0\nTRUSTED_PROXIES=10.0.0.0/8\n",
    ),
    (
        "Nightlatch in Docker",
        "ENVIRONMENT=production\nPUBLIC_URL=https://login.example.com\nSESSION_SECRET_KEY_FILE=/run/secrets/session\nNIGHTLATCH_LISTEN=0.0.0.0:8080\nREDIS_HOST=redis\nREDIS_PORT=6379\nREDIS_PASSWORD=hunter2\n",
    ),
    (
        "Nightlatch beside Django",
        "ENVIRONMENT=staging\nPUBLIC_URL=https://login.example.com\nSESSION_SECRET_KEY=0123456789abcdef0123456789hunter2\nDJANGO_SECRET_KEY=q8Vhunter2s0mEr4nd0mT3xtThatIsLongEnough\nREDIS_URL=redis://redis:6379/0\nREDIS_CACHE_URL=redis://redis:6379/1\nCELERY_BROKER_URL=redis://redis:6379/2\nALLOWED_HOSTS=example.com\nEMAIL_HOST=smtp\nSENTRY_DSN=\n",
    ),
    (
        "Nightlatch, put together by compose",
        "NIGHTLATCH_LISTEN=0.0.0.0:8080\nENVIRONMENT=production\nDOMAIN=login.example.com\nPUBLIC_URL=https://${DOMAIN}\nSESSION_SECRET_KEY=${SECRET}\n",
    ),
];

#[test]
fn what_people_run_is_not_warned_of() {
    let small = [OTHERS.len(), FILES.len()];
    assert!(small.iter().sum::<usize>() >= 60, "{small:?}");
    for (reader, text) in FILES {
        let findings = examined(text);
        let worse: Vec<_> = findings.iter().filter(|it| it.level > Info).collect();
        assert!(worse.is_empty(), "{reader}: {worse:#?}");
        let _ = ids(text);
    }
}
