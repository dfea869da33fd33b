{{- define "gateway.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.fullname" -}}
{{- $name := include "gateway.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* What selects the gateway's pods, and not those of a migration. It cannot be changed by an upgrade. */}}
{{- define "gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "gateway.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: llm-asgi-gateway
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selectorLabels" . }}
{{ include "gateway.commonLabels" . }}
{{- end }}

{{- define "gateway.image" -}}
{{- with .Values.image }}
{{- $name := .registry | empty | ternary .repository (printf "%s/%s" .registry .repository) }}
{{- $tagged := printf "%s:%s" $name (.tag | default $.Chart.AppVersion) }}
{{- .digest | empty | ternary $tagged (printf "%s@%s" $name .digest) }}
{{- end }}
{{- end }}

{{- define "gateway.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "gateway.fullname" .) "default") }}
{{- end }}

{{- define "gateway.secretName" -}}
{{- .Values.secrets.externalSecret.enabled | ternary (include "gateway.fullname" .) .Values.secrets.existingSecret }}
{{- end }}

{{- define "gateway.configMapName" -}}
{{- .Values.existingConfigMap | default (.Values.config | empty | ternary "" (include "gateway.fullname" .)) }}
{{- end }}

{{/* A variable from a Secret. Without that key the pod does not start, rather than start without what it needs. */}}
{{- define "gateway.fromSecret" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{- define "gateway.databaseEnv" -}}
{{- $own := include "gateway.secretName" . }}
{{- with .Values.database }}
{{- include "gateway.fromSecret" (dict "variable" "GATEWAY_DATABASE_URL" "secret" (.secretName | default $own) "key" .key) }}
{{- end }}
{{- end }}

{{/* The public authorities go on being known: OpenSSL finds them in the image's folder. */}}
{{- define "gateway.caEnv" -}}
{{- if or .Values.caBundle.configMapName .Values.caBundle.secretName }}
- name: SSL_CERT_FILE
  value: /etc/gateway-ca/{{ .Values.caBundle.key }}
{{- end }}
{{- end }}

{{- define "gateway.extraMounts" -}}
{{- if or .Values.caBundle.configMapName .Values.caBundle.secretName }}
- name: ca-bundle
  mountPath: /etc/gateway-ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gateway.extraVolumes" -}}
{{- with .Values.caBundle }}
{{- if .secretName }}
- name: ca-bundle
  secret:
    secretName: {{ .secretName }}
    defaultMode: 0440
    items: [{key: {{ .key }}, path: {{ .key }}}]
{{- else if .configMapName }}
- name: ca-bundle
  configMap:
    name: {{ .configMapName }}
    items: [{key: {{ .key }}, path: {{ .key }}}]
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What the database's URL may refer to, such as `sslrootcert`, is there as it is for the gateway. */}}
{{- define "gateway.migrate" -}}
- name: migrate
  image: {{ include "gateway.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: [migrate]
  env:
    {{- include "gateway.databaseEnv" . | nindent 4 }}
    {{- include "gateway.caEnv" . | nindent 4 }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- include "gateway.extraMounts" . | nindent 4 }}
{{- end }}

{{/* Ends the rendering with a word on values that do not go together. */}}
{{- define "gateway.check" -}}
{{- $several := .Values.autoscaling.enabled | ternary (gt (int .Values.autoscaling.maxReplicas) 1) (gt (int .Values.replicaCount) 1) }}
{{- $secret := include "gateway.secretName" . }}
{{- if and .Values.secrets.existingSecret .Values.secrets.externalSecret.enabled }}
{{- fail "secrets: either existingSecret or externalSecret.enabled" }}
{{- end }}
{{- if and .Values.config .Values.existingConfigMap }}
{{- fail "either config or existingConfigMap" }}
{{- end }}
{{- if and $several (not .Values.database.enabled) }}
{{- fail "more than one replica needs database.enabled: without it, each would have tokens, budgets and a ledger of its own" }}
{{- end }}
{{- if and $several .Values.persistence.enabled }}
{{- fail "persistence is for one replica alone" }}
{{- end }}
{{- if and .Values.database.enabled (not $secret) }}
{{- fail "database.enabled needs secrets.existingSecret or secrets.externalSecret, with GATEWAY_ADMIN_TOKEN and GATEWAY_PEPPER" }}
{{- end }}
{{- if and .Values.redis.enabled (not (or $secret .Values.redis.secretName)) }}
{{- fail "redis.enabled needs a Secret: redis.secretName, secrets.existingSecret or secrets.externalSecret" }}
{{- end }}
{{- if and .Values.database.enabled .Values.secrets.externalSecret.enabled (eq .Values.migrations.mode "hook") }}
{{- fail "migrations.mode: a hook runs before the ExternalSecret is there; take initContainer" }}
{{- end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling: minReplicas is above maxReplicas" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not (or .Values.autoscaling.targetCPUUtilizationPercentage .Values.autoscaling.targetOpenRequests)) }}
{{- fail "autoscaling needs targetCPUUtilizationPercentage or targetOpenRequests" }}
{{- end }}
{{- end }}

{{- define "gateway.migrationLabels" -}}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: migration
{{ include "gateway.commonLabels" . }}
{{- end }}
