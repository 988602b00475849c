// Nightlatch on Azure Container Apps: two replicas, secrets from a key vault that is there already.
//
// The vault holds session-secret-key, database-password and redis-password; PostgreSQL and Redis are
// there, too. README.md has the commands, and what is not checked.

@description('The origin that people open, such as https://login.example.org')
param publicUrl string

@description('The environment that the app runs in')
param environmentName string

@description('The key vault, in this resource group')
param keyVaultName string

@description('Without the password: postgres://nightlatch@HOST:5432/nightlatch?sslmode=verify-full&sslrootcert=system')
param databaseUrl string

@description('Host of the Azure Cache for Redis')
param redisHost string

param image string = 'ghcr.io/nightlatch/nightlatch:0.1.0'
param location string = resourceGroup().location

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' existing = {
  name: environmentName
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: keyVaultName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'nightlatch'
  location: location
}

// "Key Vault Secrets User": reads secrets, and nothing else.
var secretsUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')

resource mayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, identity.id, secretsUser)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'nightlatch'
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  dependsOn: [mayRead]
  properties: {
    managedEnvironmentId: environment.id
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: 8080
        transport: 'http'
        allowInsecure: false
      }
      secrets: [
        { name: 'session-secret-key', keyVaultUrl: '${vault.properties.vaultUri}secrets/session-secret-key', identity: identity.id }
        { name: 'database-password', keyVaultUrl: '${vault.properties.vaultUri}secrets/database-password', identity: identity.id }
        { name: 'redis-password', keyVaultUrl: '${vault.properties.vaultUri}secrets/redis-password', identity: identity.id }
      ]
    }
    template: {
      // NIGHTLATCH_DRAIN (10 s), and the farewell after it.
      terminationGracePeriodSeconds: 30
      containers: [
        {
          name: 'nightlatch'
          image: image
          resources: { cpu: json('0.5'), memory: '1Gi' }
          env: [
            { name: 'ENVIRONMENT', value: 'production' }
            { name: 'PUBLIC_URL', value: publicUrl }
            { name: 'NIGHTLATCH_LISTEN', value: '0.0.0.0:8080' }
            { name: 'NIGHTLATCH_METRICS_LISTEN', value: '0.0.0.0:9464' }
            { name: 'DATABASE_URL', value: databaseUrl }
            { name: 'DATABASE_PASSWORD', secretRef: 'database-password' }
            { name: 'REDIS_HOST', value: redisHost }
            { name: 'REDIS_PORT', value: '6380' }
            { name: 'REDIS_TLS', value: 'true' }
            { name: 'REDIS_ACCESS_KEY', secretRef: 'redis-password' }
            { name: 'SESSION_SECRET_KEY', secretRef: 'session-secret-key' }
            // The ingress of Container Apps.
            { name: 'TRUSTED_PROXIES', value: '100.100.0.0/17' }
          ]
          probes: [
            { type: 'Startup', httpGet: { path: '/health/live', port: 8080 }, periodSeconds: 1, failureThreshold: 60 }
            { type: 'Liveness', httpGet: { path: '/health/live', port: 8080 }, periodSeconds: 10, failureThreshold: 3 }
            { type: 'Readiness', httpGet: { path: '/health/ready', port: 8080 }, periodSeconds: 2, failureThreshold: 2 }
          ]
        }
      ]
      scale: { minReplicas: 2, maxReplicas: 6 }
    }
  }
}

output address string = 'https://${app.properties.configuration.ingress.fqdn}'
